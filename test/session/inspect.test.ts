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
