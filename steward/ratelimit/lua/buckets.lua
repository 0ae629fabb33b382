#!lua name=steward_ratelimit

-- Limits on requests and tokens in any rolling window, for everybody who shares a ring. Runs in Redis 7 and Valkey.
--
-- A ring is window + dispatch + 1 buckets of one second by this server's clock, and the sum over them. A reservation is
-- sent at most `dispatch` seconds after it was made, so all that the provider sees in one window was reserved within
-- window + dispatch seconds, which lie in so many buckets: a sum within the limit keeps every rolling window within it.
--
-- Kept of a ring, under KEYS: a hash with `state`, `learned` and one field a second; two sorted sets of the tenants that
-- wait (by virtual time; by when they count as gone); a hash of each tenant, which expires when its ring is empty.

-- A tenant that was denied and has not asked again for so long does not wait any more.
local WAITS_MS = 1000
-- Buckets are remembered for so long after they left the ring: answers of a provider tell of the past.
local REMEMBERED = 30
-- What a provider told of its limits is forgotten after so long, for a wrong header must not stop a ring for ever.
local LEARNED_MS = 600000
-- Each 429 from outside takes so much of the limit, but those of one burst take it once; a window gives it back.
local SHRINK, SHRINK_EVERY_MS, SMALLEST, RECOVERED_PER_WINDOW = 0.7, 3000, 0.1, 0.3

local DIMENSIONS = { 'requests', 'input_tokens', 'output_tokens', 'tokens' }

-- Counts are { requests, input tokens, output tokens }; the fourth dimension is input and output together.
local function of(counts, dimension)
  if dimension == 4 then return counts[2] + counts[3] end
  return counts[dimension]
end

local function numbers(text)
  local found = {}
  for word in string.gmatch(text or '', '%S+') do found[#found + 1] = tonumber(word) or word end
  return found
end

local function text(counts)
  return string.format('%.0f %.0f %.0f', counts[1], counts[2], counts[3])
end

local function bucket_of(value)
  if not value then return { 0, 0, 0 } end
  return numbers(value)
end

-- Of ARGV from *first*, as many as *count*.
local function taken(args, first, count)
  local found = {}
  for index = first, first + count - 1 do found[#found + 1] = tonumber(args[index]) end
  return found
end

local function names(first, last)
  local found = {}
  for second = first, last do found[#found + 1] = string.format('%.0f', second) end
  return found
end

local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]), tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Changes when a replica is promoted and when the server restarts: then writes may be missing here.
local function server()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
end

-- Calls *each* with every bucket from *first* to *last* that is there.
local function buckets(ring, first, last, each)
  if last < first then return end
  local seconds = names(first, last)
  local values = redis.call('HMGET', ring.key, unpack(seconds))
  for index = 1, #seconds do
    if values[index] and each(first + index - 1, numbers(values[index])) then return end
  end
end

local function summed(ring, first, last)
  local sums = { 0, 0, 0 }
  buckets(ring, first, last, function(_, bucket)
    for dimension = 1, 3 do sums[dimension] = sums[dimension] + bucket[dimension] end
  end)
  return sums
end

-- The sums as they are at *now*, without a write: what left the ring is taken off.
local function aged(ring, now)
  local first, last = ring.head - ring.length + 1, now - ring.length
  if last >= ring.head then return { 0, 0, 0 } end
  local gone = summed(ring, first, last)
  return { ring.sums[1] - gone[1], ring.sums[2] - gone[2], ring.sums[3] - gone[3] }
end

local function age(ring, now)
  if now <= ring.head then return end
  ring.sums = aged(ring, now)
  local oldest = ring.head - ring.length - REMEMBERED + 1
  -- By `write`, together with the sums: without them a bucket that is gone could not be taken off any more.
  ring.forgotten = names(oldest, math.min(now - ring.length - REMEMBERED, ring.head))
  ring.head = now
end

-- Adds to one bucket, which never falls below nothing. Written by `write`.
local function add(ring, second, counts)
  if counts[1] == 0 and counts[2] == 0 and counts[3] == 0 then return end
  local name = string.format('%.0f', second)
  local bucket = ring.touched[name] or bucket_of(redis.call('HGET', ring.key, name))
  for dimension = 1, 3 do
    local after = math.max(0, bucket[dimension] + counts[dimension])
    ring.sums[dimension] = ring.sums[dimension] + after - bucket[dimension]
    bucket[dimension] = after
  end
  ring.touched[name] = bucket
end

-- The ring's state and the buckets that were touched, in one call: each costs more than what it does.
local function write(ring, state)
  local fields = { 'state', state }
  for name, bucket in pairs(ring.touched) do
    fields[#fields + 1], fields[#fields + 2] = name, text(bucket)
  end
  redis.call('HSET', ring.key, unpack(fields))
  if ring.forgotten and #ring.forgotten > 0 then redis.call('HDEL', ring.key, unpack(ring.forgotten)) end
end

