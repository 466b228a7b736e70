-- Puts hints behind those that wait already. Redis hands them to receivers that wait, if any do.
--
-- KEYS[1] counts the ages; the others are sets of waiting hints, each of one queue and priority.
-- ARGV has for each set how many hints there are, and the hints.
--
-- A hint that waits already keeps its place: a task is hinted at once, however often it is told.

local AT_ONCE = 1000 -- arguments of one call; Lua's stack holds 8000

local hints = #ARGV - (#KEYS - 1)
local age = redis.call('INCRBY', KEYS[1], hints) - hints
local at = 1
for number = 2, #KEYS do
  local first, last = at + 1, at + tonumber(ARGV[at])
  for from = first, last, AT_ONCE do
    local aged = {}
    for index = from, math.min(from + AT_ONCE - 1, last) do
      age = age + 1
      aged[#aged + 1] = age
      aged[#aged + 1] = ARGV[index]
    end
    redis.call('ZADD', KEYS[number], 'NX', unpack(aged))
  end
  at = last + 1
end
