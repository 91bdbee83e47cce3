/** Text that a stranger wrote (a label, say), without what would begin a line, move the cursor or colour the screen. */
export const plainText = (text: string): string => text.replace(/[^\x20-\x7e\u00a0-\u{10ffff}]/gu, '?')
