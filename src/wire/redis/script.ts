/** The one script, which does what Redis has no command for: to compare a version and act on the item in one step. */
import { createHash } from 'node:crypto'

/**
 * For each key three arguments: what its value must begin with, or the digest of a value without a head (`#...`);
 * the seconds to live, 0 to delete; the new value. No beginning at all: only the seconds to live are set.
 *
 * Answers for each key 1 (done), 2 (another version), 0 (missing), or an error; for a touch the item, or nothing.
 */
export const SCRIPT = `\
local answers = {}
for i, key in ipairs(KEYS) do
  local head, ttl, value = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  local answer
  if head == '' then
    answer = redis.pcall('EXPIRE', key, ttl)
    if answer == 1 then answer = redis.pcall('GET', key) elseif answer == 0 then answer = false end
  else
    local found
    if string.sub(head, 1, 1) == '#' then
      found = redis.pcall('GET', key)
      if type(found) == 'string' then found = '#' .. redis.sha1hex(found) elseif not found then found = '' end
    else
      found = redis.pcall('GETRANGE', key, 0, #head - 1)
    end
    if type(found) ~= 'string' then
      answer = found
    elseif found == head then
      if ttl == '0' then answer = redis.pcall('DEL', key) else answer = redis.pcall('SET', key, value, 'EX', ttl) end
      if type(answer) ~= 'table' or not answer.err then answer = 1 end
    elseif found == '' and redis.call('EXISTS', key) == 0 then
      answer = 0
    else
      answer = 2
    end
  end
  answers[i] = answer
end
return answers
`

export const SCRIPT_SHA = createHash('sha1').update(SCRIPT).digest('hex')
