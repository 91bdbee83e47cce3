/**
 * Replaces the control characters of a text that others wrote (a label, for example). Otherwise it could begin a line
 * in a log, move the cursor or colour the screen.
 */
export const plainText = (text: string): string => text.replace(/[^\x20-\x7e\u00a0-\u{10ffff}]/gu, '?')

/** Replaces `characters` in a JSON text by their `\u` escapes. */
export const escaped = (json: string, characters: RegExp): string =>
  json.replace(characters, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
