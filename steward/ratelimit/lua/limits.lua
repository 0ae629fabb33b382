-- What a ring is at this moment, and what may be used of it.

-- Two callers may disagree on the length while a new one is rolled out: the longer one holds for both.
local function lengthen(ring, length, now)
  if length <= ring.length then return true end
  local known = length - ring.length <= REMEMBERED
  ring.length = length
  ring.sums = summed(ring, now - length + 1, now)
  return known
end

local function store(state)
  local words = {
    state.server, string.format('%.0f %.0f %.0f %.0f', state.epoch, state.window, state.length, state.head),
    text(state.sums), string.format('%.0f %.0f', state.opens, state.blocked),
    string.format('%.9f %.0f %.0f', state.factor, state.factor_at, state.shrunk_at),
    string.format('%.12f', state.virtual),
  }
  write(state, table.concat(words, ' '))
end

local function parsed(key, value)
  local word = numbers(value)
  return {
    -- A replication id may look like a number.
    key = key, server = string.match(value, '%S+'), epoch = word[2], window = word[3], length = word[4], head = word[5],
    sums = { word[6], word[7], word[8] }, opens = word[9], blocked = word[10], factor = word[11], factor_at = word[12],
    shrunk_at = word[13], virtual = word[14], touched = {},
  }
end

local function fresh(key, window, length, now, now_ms, closed)
  redis.call('DEL', key)
  return {
    key = key, server = server(), epoch = now_ms, window = window, length = length, head = now, sums = { 0, 0, 0 },
    opens = closed and now + length or 0, blocked = 0, factor = 1, factor_at = now_ms, shrunk_at = 0, virtual = 0,
    touched = { [string.format('%.0f', now)] = { 0, 0, 0 } },
  }
end

-- The state, now in seconds, now in ms; nil where there is none, or none to be relied on.
-- A clock that was set back stands still here until it has caught up; if that would take a ring, we begin anew.
local function known(key)
  local now, now_ms = clock()
  local present = string.format('%.0f', now)
  local values = redis.call('HMGET', key, 'state', 'learned', present)
  if not values[1] then return nil, now, now_ms end
  local state = parsed(key, values[1])
  if now < state.head - state.length then return nil, now, now_ms end
  if now < state.head then now, now_ms = state.head, state.head * 1000 end
  state.learned = numbers(values[2])
  if values[3] then state.touched[present] = bucket_of(values[3]) end
  state.stale = state.server ~= server()
  return state, now, now_ms
end

-- The ring at this moment. What is missing or stale begins exhausted, unless the limit is the caller's own.
local function opened(key, window, length, exhausted)
  local state, now, now_ms = known(key)
  if state and state.stale and not exhausted then
    state.stale, state.server = false, server()
  end
  if not state or state.stale then
    state = fresh(key, window, length, now, now_ms, exhausted)
    state.learned = {}
  end
  state.window = window
  age(state, now)
  if not lengthen(state, length, now) and exhausted then state.opens = now + length end
  return state, now, now_ms
end

local function factor(state, now_ms)
  local recovered = (now_ms - state.factor_at) * RECOVERED_PER_WINDOW / (state.window * 1000)
  return math.min(1, state.factor + math.max(0, recovered))
end

-- What may be used of each dimension now: ours or the provider's, whichever is lower, less what 429s took. -1: no limit.
local function effective(state, limits, now_ms)
  local share, found = factor(state, now_ms), {}
  for dimension = 1, 4 do
    local limit, learned = limits[dimension], -1
    if #state.learned == 5 and state.learned[5] > now_ms then learned = state.learned[dimension] end
    if learned >= 0 and (limit < 0 or learned < limit) then limit = learned end
    found[dimension] = limit < 0 and -1 or math.max(1, math.floor(limit * share))
  end
  return found
end

-- By how much *sums* and *cost* are above *limits*, and the first dimension in which they are.
local function excess(sums, cost, limits, share)
  local over, which = {}, nil
  for dimension = 1, 4 do
    local limit = limits[dimension]
    over[dimension] = limit < 0 and 0 or of(sums, dimension) + of(cost, dimension) - math.floor(limit * share)
    -- What costs nothing here is not held up here.
    if of(cost, dimension) == 0 then over[dimension] = 0 end
    if over[dimension] > 0 and not which then which = dimension end
  end
  return over, which
end

-- The second in which enough will have left the ring, if nobody reserves anything meanwhile.
local function frees(ring, now, over)
  local freed, at = { 0, 0, 0 }, now + ring.length
  buckets(ring, now - ring.length + 1, now, function(second, bucket)
    local enough = true
    for dimension = 1, 3 do freed[dimension] = freed[dimension] + bucket[dimension] end
    for dimension = 1, 4 do enough = enough and of(freed, dimension) >= over[dimension] end
    if enough then at = second + ring.length end
    return enough
  end)
  return at
end

