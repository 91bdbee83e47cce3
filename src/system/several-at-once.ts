/** Does `work` for each item, so many at once. None is begun once the signal has aborted; those under way are waited for. */
export async function severalAtOnce<Item>(items: Iterable<Item>, atOnce: number, signal: AbortSignal, work: (item: Item) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]()
  const worker = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true; next = queue.next()) {
      if (signal.aborted) return
      await work(next.value)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  signal.throwIfAborted()
}
