-- Takes hints of several queues: higher priority first, equal shares for queues, in each the older.
--
-- KEYS: for each queue the set of what is taken, then the sets of what waits, by priority.
-- ARGV: now, the moment when what is taken now is due again, and the moment beyond which nobody may
-- hold anything, in milliseconds; how many to take.
--
-- Answers how many entries were dropped because they are none of ours, and what was taken: pairs of
-- the number of a queue (from 0) and a list of tags. A tag holds priority, due moment, age and
-- hint; it is the very member of the set of what is taken, so that acknowledging is removing it.

local AT_ONCE = 1000 -- a limit of Lua's stack

local now, due_again, horizon, room = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local KEYS_OF_QUEUE = 5
local queues = #KEYS / KEYS_OF_QUEUE

local function taken_of(queue)
  return KEYS[queue * KEYS_OF_QUEUE + 1]
end

local function waiting_of(queue, priority)
  return KEYS[queue * KEYS_OF_QUEUE + 2 + priority]
end

-- Has what is due again, or is held for longer than anybody may, wait in its old place; answers how
-- many entries were no tags.
local function bring_back(queue)
  local dropped = 0
  for _, between in ipairs({ { '-inf', now }, { '(' .. horizon, '+inf' } }) do
    for _, tag in ipairs(redis.call('ZRANGEBYSCORE', taken_of(queue), unpack(between))) do
      local priority, age, hint = string.match(tag, '^([0-3]) %d+ (%d+) (.*)$')
      if priority then
        redis.call('ZADD', waiting_of(queue, priority), 'LT', age, hint)
      else
        dropped = dropped + 1
      end
      redis.call('ZREM', taken_of(queue), tag)
    end
  end
  return dropped
end

local function take(queue, priority, count)
  local oldest = redis.call('ZPOPMIN', waiting_of(queue, priority), count)
  local tags, noted = {}, {}
  for index = 1, #oldest, 2 do
    local tag = priority .. ' ' .. due_again .. ' ' .. oldest[index + 1] .. ' ' .. oldest[index]
    tags[#tags + 1] = tag
    noted[index], noted[index + 1] = due_again, tag
  end
  if #tags > 0 then
    redis.call('ZADD', taken_of(queue), unpack(noted))
  end
  return tags
end

local dropped = 0
local all = {}
for queue = 0, queues - 1 do
  dropped = dropped + bring_back(queue)
  all[#all + 1] = queue
end

local taken = {}
for priority = 0, 3 do
  local candidates = all
  while room > 0 and #candidates > 0 do
    local share = math.min(math.max(1, math.floor(room / #candidates)), AT_ONCE)
    local not_exhausted = {}
    for _, queue in ipairs(candidates) do
      local count = math.min(share, room)
      local tags = count > 0 and take(queue, priority, count) or {}
      if #tags > 0 then
        taken[#taken + 1] = { queue, tags }
        room = room - #tags
      end
      if #tags == count then
        not_exhausted[#not_exhausted + 1] = queue
      end
    end
    candidates = not_exhausted
  end
end
return { dropped, taken }
