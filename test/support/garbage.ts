/** Calls the garbage collector, without a flag on the command line. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')

export const collectGarbage: () => void = runInNewContext('gc')
