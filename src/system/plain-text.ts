/** Text that a stranger wrote (a label, say), without what would begin a line, move the cursor or colour the screen. */
export const plainText = (text: string): string => text.replace(/[^\x20-\x7e\u00a0-\u{10ffff}]/gu, '?')

/** JSON with these characters, which it leaves as they are, written as escapes. */
export const escaped = (json: string, characters: RegExp): string =>
  json.replace(characters, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
