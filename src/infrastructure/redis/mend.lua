-- Deletes what somebody else has put under our keys, and answers how many keys these were.
--
-- KEYS[1] counts the ages; the others are sorted sets.

local function is_spoilt(...)
  local answer = redis.pcall(...)
  return type(answer) == 'table' and answer.err ~= nil
end

local deleted = 0
if is_spoilt('INCRBY', KEYS[1], 0) then
  deleted = deleted + redis.call('DEL', KEYS[1])
end
for number = 2, #KEYS do
  if is_spoilt('ZCARD', KEYS[number]) then
    deleted = deleted + redis.call('DEL', KEYS[number])
  end
end
return deleted
