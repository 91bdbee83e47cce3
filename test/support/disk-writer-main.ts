/** A process that writes to a store on disk until it is killed, and says what was acknowledged. See `disk-writers.ts`. */
import { SessionManager } from '../../src/index.js'
import { sumOf } from './disk-writers.js'

const { SAVE_PATH = '', SESSIONS = '16' } = process.env
const manager = new SessionManager({ savePath: SAVE_PATH, leaseSec: 5, waitMs: 30_000, deadlineMs: 30_000 })

interface Numbered {
  n: number
  fill: string
  sum: string
}

async function write(): Promise<void> {
  const id = `session-${String(Math.floor(Math.random() * Number(SESSIONS)))}`
  let n = 0
  let torn = false
  await manager.run<Numbered>(id, ({ data }) => {
    torn = data.n !== undefined && data.sum !== sumOf(data.n, data.fill ?? '')
    n = (data.n ?? 0) + 1
    data.n = n
    data.fill = 'x'.repeat(Math.floor(Math.random() ** 4 * 20_000))
    data.sum = sumOf(n, data.fill)
  })
  process.send?.({ id, n, torn })
}

process.on('disconnect', () => process.exit(0))
for (;;) {
  try {
    await write()
  } catch (error) {
    process.send?.({ failed: error instanceof Error ? `${error.name}: ${error.message}` : String(error) })
  }
}
