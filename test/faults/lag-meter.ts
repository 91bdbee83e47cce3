/** How long this process stood still, so that a busy machine is not taken for a late call. */

const EVERY_MS = 10

export class LagMeter implements Disposable {
  private readonly stalls: { readonly atMs: number; readonly ms: number }[] = []
  private lastMs = performance.now()
  private readonly timer = setInterval(() => {
    const nowMs = performance.now()
    const ms = nowMs - this.lastMs - EVERY_MS
    if (ms > 5) this.stalls.push({ atMs: nowMs, ms })
    this.lastMs = nowMs
  }, EVERY_MS)

  /** Milliseconds lost between two moments. */
  between(fromMs: number, toMs: number): number {
    // The stall that is going on: whoever asks may be called before the timer is.
    let lost = Math.max(0, performance.now() - this.lastMs - EVERY_MS)
    for (const { atMs, ms } of this.stalls) if (atMs > fromMs && atMs - ms < toMs) lost += ms
    return lost
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer)
  }
}
