-- What clients call.

-- KEYS ring, its two queues, its tenant; ARGV window, length, exhausted (1) or empty (0), cost ×3, limits ×4,
-- the tenant's share, weight and name. Answers {1, second, epoch} or {0, ms to wait, why, dimension}.
local function reserve(keys, args)
  local cost, limits = taken(args, 4, 3), taken(args, 7, 4)
  local share, weight, name = tonumber(args[11]), tonumber(args[12]), args[13]
  local exhausted = args[3] == '1'
  local state, now, now_ms = opened(keys[1], tonumber(args[1]), tonumber(args[2]), exhausted)
  if now < state.opens then return denied(state, 'starting', nil, state.opens * 1000 - now_ms) end
  if now_ms < state.blocked then return denied(state, 'throttled', nil, state.blocked - now_ms) end

  local allowed = effective(state, limits, now_ms)
  local _, never = excess({ 0, 0, 0 }, cost, allowed, share)
  if never then return denied(state, 'shrunk', never, state.length * 1000) end

  local tenant = tenant_of(keys[4], state, now)
  local over, which
  if share < 1 then over, which = excess(tenant.sums, cost, allowed, share) end
  -- Who has its share does not wait for the ring: nobody may be held up for it.
  if which then return denied(state, 'share', which, frees(tenant, now, over) * 1000 - now_ms) end

  local start = math.max(state.virtual - CREDIT, tenant.virtual)
  over, which = excess(state.sums, cost, allowed, 1)
  if which then
    wait(keys, name, start, now_ms)
    return denied(state, 'limit', which, frees(state, now, over) * 1000 - now_ms)
  end
  local yields, contended = others_turn(keys, name, start, now_ms)
  if yields then
    wait(keys, name, start, now_ms)
    return denied(state, 'turn', nil, 50)
  end

  add(state, now, cost)
  add(tenant, now, cost)
  state.virtual, tenant.virtual = math.max(state.virtual, start), start + part(cost, limits) / weight
  -- Its place it keeps, further behind, for as long as it was to wait: others of its requests may be waiting too.
  if contended then redis.call('ZADD', keys[2], 'XX', string.format('%.12f', tenant.virtual), name) end
  store(state)
  store_tenant(tenant, state)
  -- What begins empty when it is lost may be forgotten when it is empty.
  if not exhausted then redis.call('PEXPIRE', keys[1], (state.length + 1) * 1000) end
  return { 1, now, string.format('%.0f', state.epoch) }
end

-- KEYS ring, its tenant, the tickets settled of this second; ARGV the ticket's second, epoch and id, reserved ×3,
-- used ×3, limits ×4, weight. Less than reserved is given back where it was taken; more is a debt of the present second.
-- Answers 1, or 0 when there was nothing to do: settled before.
local function settle(keys, args)
  local second, epoch, id = tonumber(args[1]), tonumber(args[2]), args[3]
  local reserved, used, limits = taken(args, 4, 3), taken(args, 7, 3), taken(args, 10, 4)
  local state, now = known(keys[1])
  -- Lost or stale: it begins exhausted, which is more than any debt.
  if not state or state.stale then return 0 end
  age(state, now)
  local back, debt = { 0, 0, 0 }, { 0, 0, 0 }
  for dimension = 1, 3 do
    back[dimension] = math.min(0, used[dimension] - reserved[dimension])
    debt[dimension] = math.max(0, used[dimension] - reserved[dimension])
  end
  local mine = epoch == state.epoch and second > now - state.length
  if mine then
    if redis.call('HSET', keys[3], id, '1') == 0 then return 0 end
    redis.call('PEXPIRE', keys[3], (second + state.length + 1 - now) * 1000)
  end
  local tenant = tenant_of(keys[2], state, now)
  for _, ring in ipairs({ state, tenant }) do
    if mine then add(ring, second, back) end
    add(ring, now, debt)
  end
  local change = (part(debt, limits) - part({ -back[1], -back[2], -back[3] }, limits)) / tonumber(args[14])
  tenant.virtual = math.max(0, tenant.virtual + change)
  store(state)
  store_tenant(tenant, state)
  return 1
end

-- KEYS ring; ARGV ms until the provider wants to be asked again. A 429 that came from outside of what we count.
local function throttled(keys, args)
  local state, now, now_ms = known(keys[1])
  if not state or state.stale then return 0 end
  age(state, now)
  if now_ms - state.shrunk_at >= SHRINK_EVERY_MS then
    state.factor, state.factor_at = math.max(SMALLEST, factor(state, now_ms) * SHRINK), now_ms
    state.shrunk_at = now_ms
  end
  state.blocked = math.max(state.blocked, now_ms + tonumber(args[1]))
  store(state)
  return 1
end

local function learn(state, limits, now_ms)
  local same = #state.learned == 5 and state.learned[5] > now_ms + LEARNED_MS * 0.9
  for dimension = 1, 4 do same = same and state.learned[dimension] == limits[dimension] end
  if same then return end
  local words = {}
  for dimension = 1, 4 do words[dimension] = string.format('%.0f', limits[dimension]) end
  words[5] = string.format('%.0f', now_ms + LEARNED_MS)
  redis.call('HSET', state.key, 'learned', table.concat(words, ' '))
end

-- KEYS ring; ARGV ms since the request was sent, the provider's limits ×4, what it says remains ×4; -1: not told.
-- Its answer tells of a moment since then. What it had counted beyond all that was in our ring since then, others used.
local function observe(keys, args)
  local state, now, now_ms = known(keys[1])
  if not state or state.stale then return 0 end
  local since, limits, remaining = math.ceil(tonumber(args[1]) / 1000), taken(args, 2, 4), taken(args, 6, 4)
  age(state, now)
  learn(state, limits, now_ms)
  if now >= state.opens and since <= REMEMBERED then
    local left = summed(state, now - state.length - since + 1, now - state.length)
    local outside = { 0, 0, 0, 0 }
    for dimension = 1, 4 do
      if limits[dimension] >= 0 and remaining[dimension] >= 0 then
        local ours = of(state.sums, dimension) + of(left, dimension)
        outside[dimension] = math.max(0, limits[dimension] - remaining[dimension] - ours)
      end
    end
    outside[2] = math.max(outside[2], outside[4] - outside[3])
    if outside[1] + outside[2] + outside[3] > 0 then add(state, now, outside) end
  end
  store(state)
  return 1
end

-- KEYS ring, its queue; ARGV limits ×4. Answers nothing where there is no ring, or pairs of name and value.
local function show(keys, args)
  local state, now, now_ms = known(keys[1])
  if not state then return {} end
  local sums, allowed = aged(state, now), effective(state, taken(args, 1, 4), now_ms)
  if now <= state.head then sums = state.sums end
  return {
    'stale', state.stale and 1 or 0, 'window', state.window, 'length', state.length,
    'used', text(sums), 'allowed', table.concat(allowed, ' '), 'factor', string.format('%.6f', factor(state, now_ms)),
    'opens_ms', string.format('%.0f', math.max(0, state.opens * 1000 - now_ms)),
    'blocked_ms', string.format('%.0f', math.max(0, state.blocked - now_ms)),
    'waiting', redis.call('ZCARD', keys[2]),
  }
end

redis.register_function('steward_limit_reserve', reserve)
redis.register_function('steward_limit_settle', settle)
redis.register_function('steward_limit_throttled', throttled)
redis.register_function('steward_limit_observe', observe)
redis.register_function{ function_name = 'steward_limit_show', callback = show, flags = { 'no-writes' } }
