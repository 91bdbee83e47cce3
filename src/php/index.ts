/** Sessions as PHP writes them: `latchkey/php`. */
export { decodePhpSession, encodePhpSession, type PhpHandler } from './session-handlers.js'
export { PhpCustom, PhpEnum, PhpObject } from './values.js'
