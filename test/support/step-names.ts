import { areSameBytes, type Command, type Reply, type Value } from '../../src/wire/wire.js'

/**
 * Names commands by their purpose: a compare-and-set of a record's own bytes only prolongs it, and is called 'touch'.
 */
export class StepNames {
  private readonly standing = new Map<string, Value>()
  private readonly touches = new WeakSet<Command>()

  /** Call this for every flight before it is carried out. */
  sent(commands: readonly Command[]): void {
    for (const command of commands) {
      if (command.op !== 'cas' || command.key.endsWith('-lck')) continue
      const bytes = this.standing.get(command.key)
      if (bytes !== undefined && areSameBytes(bytes, command.value)) this.touches.add(command)
    }
  }

  /** Call this for every flight that was answered. */
  answered(commands: readonly Command[], replies: readonly Reply[]): void {
    for (const [index, command] of commands.entries()) {
      const reply = replies[index]
      if (reply?.status !== 'ok') continue
      const value = 'value' in command ? command.value : reply.value
      if (value !== undefined) this.standing.set(command.key, value)
    }
  }

  readonly of = (command: Command): string => (this.touches.has(command) ? 'touch' : command.op)
}
