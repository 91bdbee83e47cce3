import { inspect } from 'node:util'
import { SessionManager } from 'latchkey'
import { expect, it } from 'vitest'

it('no dump of a manager, store or session shows the credentials of its save path', async () => {
  const savePath = 'tcp://somebody:hunter2@127.0.0.1:11211'
  const manager = new SessionManager({ savePath })
  const inMemory = new SessionManager({ savePath: 'memory:', encryption: { keys: [{ id: 'k', secret: 'hunter2-'.repeat(8) + 'abcdefgh' }] } })
  await using session = await inMemory.start('sid')
  for (const one of [manager, manager.store(), inMemory, session]) {
    expect(inspect(one, { depth: 20, showHidden: true })).not.toContain('hunter2')
  }
  await manager.close()
})

it('no dump of a session shows its id or its data', async () => {
  await using manager = Object.assign(new SessionManager(), { [Symbol.asyncDispose]: () => manager.close() })
  await using session = await manager.start('the-raw-id')
  session.data['password'] = 'hunter2'
  const dump = inspect({ session }, { depth: 20, showHidden: true })
  expect(dump).toContain('Session {')
  expect(dump).not.toMatch(/the-raw-id|hunter2/)
})

it.each(['hunter2', '{"user":"ada","password":hunter2}', '{"password":"x"}hunter2'])(
  'no error shows what an undecodable record (%s) holds',
  async (text) => {
    const manager = new SessionManager()
    const store = manager.store()
    await store.read('sid')
    await store.write('sid', text)
    const error: unknown = await manager.start('sid').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'LATCHKEY_UNDECODABLE', cause: { name: 'SyntaxError' } })
    expect(inspect(error, { depth: 20, showHidden: true })).not.toContain('hunter2'.slice(0, 4))
    await manager.close()
  },
)
