/** Writes down what happens in a run, in order, for people. Costs nothing unless somebody wants to read it. */
export class Timeline {
  private readonly lines: string[] = []

  constructor(
    private readonly isWanted: boolean,
    private readonly nowMs: () => number,
  ) {}

  add(who: string, what: () => string): void {
    if (!this.isWanted) return
    this.lines.push(`${this.nowMs().toFixed(1).padStart(9)} ms  ${who.padEnd(9)} ${what()}`)
  }

  toString(): string {
    return this.lines.join('\n')
  }
}
