/**
 * One use under the limits of one id, in one step on Redis' clock: the rule of core/rate-limit.ts (`levelAfter`, `hasRoom`)
 * where it can be atomic for all servers. One contract suite holds both.
 *
 * KEYS: the id's hash, which has the time of its levels (ms) as `@` and each level by the limit's name.
 * ARGV: the cost, then for each limit its name, limit, period (ms), burst and floor.
 * Gives 1 or 0 for allowed or not, then the levels as text, since Redis cuts numbers.
 */
export const redisTakeScript = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local cost = tonumber(ARGV[1])
local names = {'@'}
for i = 2, #ARGV, 5 do names[#names + 1] = ARGV[i] end
local stored = redis.call('HMGET', KEYS[1], unpack(names))
local elapsed = math.max(0, now - tonumber(stored[1] or now))
local levels, allowed, full = {}, 1, 0
for i = 2, #names do
  local at = 2 + (i - 2) * 5
  local limit, period, burst = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local level = math.max(0, tonumber(stored[i] or 0) - elapsed * limit / period)
  level = math.max(level, tonumber(ARGV[at + 4]))
  if cost > 0 and level + cost > burst + 1e-6 then allowed = 0 end
  levels[i - 1] = level
  full = math.max(full, (level + cost) * period / limit)
end
local answer = {allowed}
local fields = {'@', now}
for i = 1, #levels do
  local level = levels[i]
  if allowed == 1 then level = level + cost end
  local text = string.format('%.17g', level)
  answer[i + 1] = text
  fields[#fields + 1] = names[i + 1]
  fields[#fields + 1] = text
end
if allowed == 1 and cost > 0 then
  redis.call('HSET', KEYS[1], unpack(fields))
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(full + 1000, 1e13)))
end
return answer
`;
