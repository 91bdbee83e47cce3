import type session from 'express-session'

/** What express-session's middleware is called with: Express has types of its own, which are not needed here. */
export type Request = Parameters<ReturnType<typeof session>>[0]
export type Response = Parameters<ReturnType<typeof session>>[1]
export type Next = (error?: unknown) => void
