/** latchkey, locked: by SessionStore's hooks, one object a cycle, as PHP uses a save handler. */
import type { SessionManager } from '../support/latchkey.js'
import { changed } from '../support/record.js'
import { type Contender, idOf } from './contender.js'

export class LatchkeyHooks implements Contender {
  private readonly ids: string[] = []

  constructor(
    readonly name: string,
    private readonly manager: SessionManager,
    private readonly record: string,
    sessions: number,
  ) {
    for (let index = 0; index < sessions; index++) this.ids.push(idOf(index))
  }

  seed(index: number): Promise<void> {
    return this.replace(this.id(index), () => this.record)
  }

  cycle(index: number): Promise<void> {
    return this.replace(this.id(index), changed)
  }

  close(): Promise<void> {
    return this.manager.close()
  }

  private id(index: number): string {
    return this.ids[index] ?? ''
  }

  private async replace(id: string, change: (text: string) => string): Promise<void> {
    const store = this.manager.store()
    await store.write(id, change(await store.read(id)))
    await store.close()
  }
}
