import type { FastifySessionOptions, SessionStore } from '@fastify/session'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { InvalidOptionError } from '../../../errors.js'

type Done = (error?: Error) => void

/** What @fastify/session adds to an application. */
export interface SessionHooks {
  readonly onRequest: (request: FastifyRequest, reply: FastifyReply, done: Done) => void
  readonly onSend: (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: Done) => void
  readonly decryptSession: FastifyInstance['decryptSession']
}

/** @fastify/session's hooks around a store. It tells its store no request, so each request has hooks of its own. */
export type HooksFor = (store: SessionStore) => SessionHooks

/**
 * Loads @fastify/session and checks its options.
 *
 * @throws what @fastify/session says of its options; LATCHKEY_INVALID_OPTION when it is not installed, or is a version
 *   that does more than is known here.
 */
export async function loadFastifySession(app: FastifyInstance, options: FastifySessionOptions): Promise<HooksFor> {
  const installed = Promise.all([import('@fastify/session'), import('@fastify/cookie')])
  const [{ default: plugin }, { Signer }] = await installed.catch((cause: unknown) => {
    throw new InvalidOptionError('@fastify/session is missing: install it, or say fastifySession: false.', { cause })
  })
  const hooksWith = (given: FastifySessionOptions): SessionHooks => {
    const hooks: Found = {}
    const keep = (name: string, value: unknown): void => void (hooks[name] = value)
    const recorder: FastifyInstance = Object.create(app, {
      decorate: {
        value: (name: string, value: unknown) => {
          if (name === 'decryptSession') keep(name, value)
        },
      },
      decorateRequest: { value: () => recorder },
      addHook: { value: keep },
    })
    plugin(recorder, given, (error) => {
      if (error !== undefined) throw error
    })
    if (isComplete(hooks)) return hooks
    const found = Object.keys(hooks).join(', ')
    throw new InvalidOptionError(`latchkey does not know this version of @fastify/session (${found}): install 11.1.`)
  }
  const { secret, algorithm } = options
  // Its own check comes first; then one signer does for all requests.
  hooksWith(options)
  const signer = typeof secret === 'string' || Array.isArray(secret) ? new Signer(secret, algorithm) : secret
  return (store) => hooksWith({ ...options, secret: signer, store })
}

const NAMES = ['onRequest', 'onSend', 'decryptSession']

type Found = Partial<Record<string, unknown>>

const isComplete = (hooks: Found): hooks is Found & SessionHooks =>
  Object.keys(hooks).length === NAMES.length && NAMES.every((name) => typeof hooks[name] === 'function')
