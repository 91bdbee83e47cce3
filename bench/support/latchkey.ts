/** latchkey as it is published: the compiled code of dist/, with the types of src/. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type * as Records from '../../src/adapters/express/bare-store.js'
import type * as RequestStore from '../../src/adapters/express/express-store.js'
import type * as Express from '../../src/adapters/express/index.js'
import type * as Sessions from '../../src/adapters/http/bare-sessions.js'
import type * as Held from '../../src/adapters/http/held-session.js'
import type * as Latchkey from '../../src/index.js'
import type * as Php from '../../src/php/index.js'

export type { SessionManager, SessionManagerOptions, SessionStore } from '../../src/index.js'

/** The build that is measured; `LATCHKEY_DIST` names another one. Children inherit it. */
export let DIST = process.env['LATCHKEY_DIST'] ?? fileURLToPath(new URL('../../dist', import.meta.url))

/** From now on that build is measured. */
export function measureBuild(dist: string): void {
  DIST = dist
  process.env['LATCHKEY_DIST'] = dist
}

export async function loadLatchkey(dist = DIST): Promise<typeof Latchkey> {
  const loaded: typeof Latchkey = await import(pathToFileURL(join(dist, 'index.js')).href)
  return loaded
}

/** PHP's formats. */
export async function loadPhp(dist = DIST): Promise<typeof Php> {
  const loaded: typeof Php = await import(pathToFileURL(join(dist, 'php/index.js')).href)
  return loaded
}

/** The Express adapter; undefined while it is not there. */
export async function loadExpressAdapter(dist = DIST): Promise<typeof Express | undefined> {
  const path = join(dist, 'adapters/express/index.js')
  if (!existsSync(path)) return undefined
  const loaded: typeof Express = await import(pathToFileURL(path).href)
  return loaded
}

/** From now on the Express adapter leaves Express's objects as they are. */
export function leaveShapes(dist = DIST): void {
  const shapes = createRequire(import.meta.url)(join(dist, 'adapters/express/shared-shape.js')) as Shapes
  // The compiled module is CommonJS: whoever uses it looks the function up at each call.
  shapes.shareShape = () => undefined
}

interface Shapes {
  shareShape: (object: object, key: string) => void
}

/** What a request of Express is made of. */
export async function loadExpressInternals(dist = DIST) {
  const load = async <T>(path: string): Promise<T> => (await import(pathToFileURL(join(dist, 'adapters', path)).href)) as T
  const { BareSessions } = await load<typeof Sessions>('http/bare-sessions.js')
  const { HeldSession } = await load<typeof Held>('http/held-session.js')
  const { ExpressStore } = await load<typeof RequestStore>('express/express-store.js')
  const { expressRecordOf } = await load<typeof Records>('express/bare-store.js')
  return { BareSessions, HeldSession, ExpressStore, expressRecordOf }
}
