/* eslint-disable @typescript-eslint/ban-ts-comment -- where it is installed there is no error to expect */
/**
 * The types of @fastify/session, which need not be installed: who uses the plugin without it, and checks the types of libraries, would be
 * told that it is missing. Without it they are `any`, in options that nobody can use then; where it is installed nothing is left out.
 */
/** @ts-ignore It need not be installed. */
import type { FastifySessionObject, FastifySessionOptions } from '@fastify/session'
/** @ts-ignore It is @fastify/session that adds it to Fastify. */
import type { Session } from 'fastify'

export type { FastifySessionObject, FastifySessionOptions, Session }

/** @ts-ignore It need not be installed. */
declare module '@fastify/session' {
  interface FastifySessionObject {
    /**
     * Stores the session now and lets go of it; from then on a change throws LATCHKEY_READ_ONLY. One flight.
     * Errors as of `save()`.
     */
    release(): Promise<void>
  }
}
