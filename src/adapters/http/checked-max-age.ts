import { checkNumber } from './check-options.js'
import { MAX_TTL_SEC } from './session-record.js'

/** A session's own `maxAge`: whole seconds, at least 1; undefined is none. @throws LATCHKEY_INVALID_OPTION */
export function checkedMaxAge(maxAge: number | undefined): number | undefined {
  checkNumber("the session's maxAge", maxAge, 1, MAX_TTL_SEC)
  return maxAge === undefined ? undefined : Math.ceil(maxAge)
}
