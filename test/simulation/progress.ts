const EVERY_MS = 5000

/** Says now and then how far a long row of runs has come, how fast it goes, and what is left of it. */
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
