import type { Probe } from '../wire.js'
import type { ServerNode } from './node.js'

/** No session's: ids are not empty. */
const HEALTH_KEY = '-health'

/** Whether a server answers: a look at a key that no session has. */
export const probeOf = (node: ServerNode): Probe => ({ name: node.name, ask: () => node.flight([{ op: 'get', key: HEALTH_KEY }]) })
