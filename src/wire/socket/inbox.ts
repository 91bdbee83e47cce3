/**
 * Puts arriving chunks together, so that a message spread over many of them is put together once and not once per chunk.
 * What it keeps it copies: a chunk is good until the call that brought it returns.
 */
export class Inbox {
  #chunks: Buffer[] = []
  #lengthBytes = 0
  #wantedBytes = 1

  /** The bytes that are there, in one piece, once there are as many as were asked for; until then undefined. */
  take(chunk: Buffer): Buffer | undefined {
    this.#lengthBytes += chunk.length
    if (this.#chunks.length === 0 && this.#lengthBytes >= this.#wantedBytes) {
      this.#reset()
      return chunk
    }
    this.#chunks.push(Buffer.from(chunk))
    if (this.#lengthBytes < this.#wantedBytes) return undefined
    const whole = Buffer.concat(this.#chunks, this.#lengthBytes)
    this.#reset()
    return whole
  }

  /** Gives back what could not be used yet; `take` stays silent until `wantedBytes` of it are there. */
  keep(rest: Buffer, wantedBytes: number): void {
    if (rest.length > 0) this.#chunks.push(Buffer.from(rest))
    this.#lengthBytes = rest.length
    this.#wantedBytes = wantedBytes
  }

  #reset(): void {
    this.#chunks = []
    this.#lengthBytes = 0
    this.#wantedBytes = 1
  }
}
