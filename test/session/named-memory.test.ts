import { SessionManager } from 'latchkey'
import { expect, it } from 'vitest'

it('managers on one memory:name share sessions and locks, until the last of them closes', async () => {
  const [one, other] = [new SessionManager({ savePath: 'memory:shop' }), new SessionManager({ savePath: 'memory:shop', waitMs: 0 })]
  const elsewhere = new SessionManager({ savePath: 'memory:other' })
  const held = await one.start('sid')
  held.data['user'] = 'ada'
  await expect(other.start('sid')).rejects.toMatchObject({ code: 'LATCHKEY_LOCK_TIMEOUT' })
  await held.release()
  expect(await other.peek('sid')).toEqual({ user: 'ada' })
  expect(await other.length()).toBe(1)
  expect(await elsewhere.peek('sid')).toBeUndefined()
  await one.close()
  await expect(one.peek('sid')).rejects.toMatchObject({ code: 'LATCHKEY_CLOSED' })
  expect(await other.peek('sid')).toEqual({ user: 'ada' })
  await other.close()
  const later = new SessionManager({ savePath: 'memory:shop' })
  expect(await later.peek('sid')).toBeUndefined()
  await Promise.all([later.close(), elsewhere.close()])
})

it('managers on memory: share nothing', async () => {
  const [one, other] = [new SessionManager(), new SessionManager()]
  await one.run('sid', (session) => {
    session.data['user'] = 'ada'
  })
  expect(await other.peek('sid')).toBeUndefined()
  await Promise.all([one.close(), other.close()])
})
