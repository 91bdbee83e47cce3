import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { builtCode } from '../support/programs.js'

const programWith = (label: string): string => `
import { SessionManager } from './src/index.ts'
const manager = new SessionManager()
await new SessionManager().close()
await manager.run('a-session-id', (session) => { session.data.user = 'ada' }, { label: ${JSON.stringify(label)} })
await manager.close()
`

async function writtenWith(DEBUG: string, label = 'GET /cart'): Promise<string[]> {
  const env = { ...process.env, DEBUG, DEBUG_COLORS: 'no', DEBUG_HIDE_DATE: 'yes' }
  const { stderr } = await promisify(execFile)(process.execPath, [await builtCode(programWith(label))], { env })
  return stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/[0-9a-f]{12}/, '<hash>').replace(/[\d.]+ ms/, '<ms>').replace(/heldMs=[\d.]+/, 'heldMs=<ms>'))
}

describe('DEBUG', () => {
  it('latchkey:* writes a line for each event, and no id or value', async () => {
    expect(await writtenWith('latchkey:*')).toEqual([
      'latchkey:wire flight manager-1 <hash>: ok, <ms>, operations=add get',
      'latchkey:lock acquire manager-1 <hash> GET /cart: ok, <ms>',
      'latchkey:wire flight manager-1 <hash>: ok, <ms>, operations=add cad',
      'latchkey:session commit manager-1 <hash> GET /cart: ok, <ms>, change=write, keepsLock=false',
      'latchkey:lock release manager-1 <hash> GET /cart: ok, <ms>, heldMs=<ms>, to=nobody',
    ])
  })

  it('a label cannot begin a line of its own, or colour the screen', async () => {
    const lines = await writtenWith('latchkey:session', 'a\nlatchkey:lock acquire \x1b[31m\x9b2J')
    expect(lines).toEqual(['latchkey:session commit manager-1 <hash> a?latchkey:lock acquire ?[31m?2J: ok, <ms>, change=write, keepsLock=false'])
  })

  it('one namespace writes its own only, and none nothing', async () => {
    const [lines, none] = await Promise.all([writtenWith('latchkey:session'), writtenWith('')])
    expect(lines.map((line) => line.replace(/ manager.*/, ''))).toEqual(['latchkey:session commit'])
    expect(none).toEqual([])
  })
})
