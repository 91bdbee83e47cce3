#!/usr/bin/env node
/** `npx latchkey`: the process around `run`. */
import { setMaxListeners } from 'node:events'
import { run } from './run.js'
import { EXIT } from './report.js'
import { systemTerminal } from './terminal.js'

const interruption = new AbortController()
// Every connection to a server listens; Node would take more than ten for a leak.
setMaxListeners(0, interruption.signal)
const interrupt = (): void => {
  // Again: somebody is in a hurry.
  if (interruption.signal.aborted) process.exit(EXIT.interrupted)
  interruption.abort(new Error('interrupted'))
}
process.on('SIGINT', interrupt)
process.on('SIGTERM', interrupt)

// `latchkey locks | head -1`: the reader has what it wanted. The exit code still says what was found.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

void run(process.argv.slice(2), systemTerminal, interruption.signal).then((exitCode) => {
  process.exitCode = exitCode
})
