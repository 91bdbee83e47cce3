/**
 * Sessions as PHP writes them, read and written byte for byte.
 *
 * @module latchkey/php
 */
export { decodePhpSession, encodePhpSession, type PhpHandler } from './session-handlers.js'
export { PhpCustom, PhpEnum, PhpObject } from './values.js'
