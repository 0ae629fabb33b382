-- Each tenant's own ring, and whose turn it is: weighted virtual time. Each grant advances its tenant's time by the
-- part of the ring that it takes, by the tenant's weight; whoever waits with the least time is next.

-- So much of the ring may a tenant be behind the others when it comes back: more would be saved up by being idle, less
-- would be lost by asking again a moment after the others.
local CREDIT = 0.25

local function tenant_of(key, state, now)
  local present = string.format('%.0f', now)
  local values = redis.call('HMGET', key, 'state', present)
  local value = values[1]
  local word = numbers(value)
  -- Of another life of the ring: nothing of it counts.
  if value and word[1] ~= state.epoch then
    redis.call('DEL', key)
    value = nil
  end
  if not value then
    return { key = key, length = state.length, head = now, sums = { 0, 0, 0 }, virtual = 0, touched = {}, renew = true }
  end
  local tenant = {
    key = key, length = word[2], head = word[3], sums = { word[4], word[5], word[6] }, virtual = word[7],
    touched = { [present] = bucket_of(values[2]) }, renew = word[3] < now,
  }
  age(tenant, now)
  lengthen(tenant, state.length, now)
  return tenant
end

local function store_tenant(tenant, state)
  local words = string.format('%.0f %.0f %.0f ', state.epoch, tenant.length, tenant.head) .. text(tenant.sums)
  write(tenant, words .. string.format(' %.12f', tenant.virtual))
  -- Once a second is enough: it is empty long before.
  if tenant.renew then redis.call('PEXPIRE', tenant.key, (tenant.length + REMEMBERED + 1) * 1000) end
end

-- How much of the ring *counts* are, in the dimension in which they are most.
local function part(counts, limits)
  local most = 0
  for dimension = 1, 4 do
    if limits[dimension] > 0 then most = math.max(most, of(counts, dimension) / limits[dimension]) end
  end
  return most
end

local function leave(keys, name)
  if redis.call('ZREM', keys[2], name) == 1 then redis.call('ZREM', keys[3], name) end
end

local function wait(keys, name, start, now_ms)
  redis.call('ZADD', keys[2], string.format('%.12f', start), name)
  redis.call('ZADD', keys[3], now_ms + WAITS_MS, name)
  redis.call('PEXPIRE', keys[2], 2 * WAITS_MS)
  redis.call('PEXPIRE', keys[3], 2 * WAITS_MS)
end

-- Whether a tenant waits that has had less than this one; and whether anybody waits at all.
local function others_turn(keys, name, start, now_ms)
  while true do
    local first = redis.call('ZRANGE', keys[2], 0, 0, 'WITHSCORES')
    if #first == 0 then return false, false end
    if first[1] == name or tonumber(first[2]) >= start then return false, true end
    local until_ms = redis.call('ZSCORE', keys[3], first[1])
    if until_ms and tonumber(until_ms) > now_ms then return true, true end
    leave(keys, first[1])
  end
end

local function denied(state, why, dimension, wait_ms)
  store(state)
  return { 0, math.max(1, math.ceil(wait_ms)), why, dimension and DIMENSIONS[dimension] or '' }
end

