/** One line on stderr that says what is being done; elsewhere than on a terminal a line now and then. */
const EVERY_MS = 5000

export class Progress {
  private shownAtMs = -Infinity
  private readonly isTerminal = process.stderr.isTTY

  show(text: string): void {
    if (this.isTerminal) {
      process.stderr.write(`\r\u001b[K${text.slice(0, (process.stderr.columns || 80) - 1)}`)
      return
    }
    const nowMs = performance.now()
    if (nowMs - this.shownAtMs < EVERY_MS) return
    this.shownAtMs = nowMs
    process.stderr.write(`${text}\n`)
  }

  clear(): void {
    if (this.isTerminal) process.stderr.write('\r\u001b[K')
  }
}
