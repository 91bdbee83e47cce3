const EVERY_MS = 5000

/** Prints from time to time how many runs are done, how fast they go, and how long the rest will take. */
export class Progress {
  private readonly startedMs = performance.now()
  private saidMs = this.startedMs
  private done = 0

  constructor(private readonly runs: number) {}

  add(runs: number): void {
    this.done += runs
    const nowMs = performance.now()
    if (nowMs - this.saidMs < EVERY_MS) return
    this.saidMs = nowMs
    const perSec = this.done / ((nowMs - this.startedMs) / 1000)
    const leftMin = (this.runs - this.done) / perSec / 60
    const share = (100 * this.done) / this.runs
    process.stderr.write(
      `${String(this.done)} runs (${share.toFixed(1)} %), ${perSec.toFixed()} runs/s, ${leftMin.toFixed(1)} min left\n`,
    )
  }
}
