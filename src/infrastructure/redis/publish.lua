-- Puts hints behind those that wait already, and wakes receivers of queues where none did.
--
-- KEYS[1] counts the ages; the others are sets of waiting hints, each of one queue and priority.
-- ARGV[1] is the topic of wake-ups. Then, for each set: its queue, how many hints, and the hints.
--
-- A hint that waits already keeps its place: a task is hinted at once, however often it is told.

local AT_ONCE = 1000 -- arguments of one call; Lua's stack holds 8000

local hints = #ARGV - 1 - 2 * (#KEYS - 1)
local age = redis.call('INCRBY', KEYS[1], hints) - hints
local awoken = {}
local at = 2
for number = 2, #KEYS do
  local set = KEYS[number]
  local first, last = at + 2, at + 1 + tonumber(ARGV[at + 1])
  if redis.call('EXISTS', set) == 0 then
    awoken[#awoken + 1] = ARGV[at]
  end
  for from = first, last, AT_ONCE do
    local aged = {}
    for index = from, math.min(from + AT_ONCE - 1, last) do
      age = age + 1
      aged[#aged + 1] = age
      aged[#aged + 1] = ARGV[index]
    end
    redis.call('ZADD', set, 'NX', unpack(aged))
  end
  at = last + 1
end
if #awoken > 0 then
  redis.call('PUBLISH', ARGV[1], table.concat(awoken, ' '))
end
