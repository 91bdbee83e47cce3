import type { Route } from './places.js'

/** Counts the visits of a session. */
export const count: Route = ({ data }) => (data['n'] = Number(data['n'] ?? 0) + 1)

export const login: Route = async (session) => {
  await session.regenerate()
  session.data['user'] = 'root'
  return {}
}

export const logout: Route = async (session) => {
  await session.destroy()
  return {}
}
