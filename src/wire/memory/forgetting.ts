/** Warns of what a store in the memory of one process forgets, where that is likely to be noticed by visitors. */
import cluster from 'node:cluster'
import { processWide } from '../../system/process-wide.js'
import type { WireWarning } from '../wire.js'

/**
 * Warns once in a process, in production or in a worker of a cluster. Elsewhere, in development and in tests, a store that
 * is empty after each start is what is wanted.
 */
export function warnOfForgetting(onWarning: ((warning: WireWarning) => void) | undefined): void {
  if (onWarning === undefined || !(cluster.isWorker || process.env['NODE_ENV'] === 'production')) return
  const told = processWide('memory-forgets', () => ({ isTold: false }))
  if (told.isTold) return
  told.isTold = true
  // Later: whoever makes a manager listens to it only afterwards.
  queueMicrotask(() => {
    onWarning({
      code: 'LATCHKEY_MEMORY_FORGETS',
      node: 'memory:',
      message:
        'Sessions are kept in the memory of this process: they are gone when it ends, and no other process sees them. ' +
        "Name a directory (savePath: 'file:/var/lib/myapp/sessions'), or a server.",
    })
  })
}
