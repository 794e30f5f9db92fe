/** Many destinations in this process, each with an address of its own in 127.0.0.0/8, and when each message arrived. */
import { type Receiver, type ReceiverScript, startReceiver } from '../../src/sandbox/sandbox.ts'
import { numberOf, recipientDomain } from './email-request.ts'
import { steadyMs } from './steady-ms.ts'

export interface Destinations {
  /** A fixed next hop for each, for the configuration. */
  readonly routes: readonly object[]
  /** Messages, those that came twice included. */
  messages(): number
  /** By the steady clock, by the number in the recipient's address: when it first came. */
  arrivedAtMs(): ReadonlyMap<number, number>
  forget(): void
  script(next: ReceiverScript): void
  /** Ends every connection; new ones are taken. */
  dropConnections(): void
  close(): Promise<void>
}

/** What a server that is so far away does: every answer that the client waits for takes so long. RCPT and DATA come with MAIL in one group. */
export const farAway = (latencyMs: number): ReceiverScript =>
  latencyMs === 0
    ? {}
    : {
        session: { connect: { latencyMs }, ehlo: { latencyMs }, mail: { latencyMs } },
        rules: [{ for: '*', final: { latencyMs } }],
      }

export async function startDestinations(count: number, script: ReceiverScript): Promise<Destinations> {
  const arrived = new Map<number, number>()
  const onMessage = ({ envelope }: { readonly envelope: { readonly to: readonly string[] } }): void => {
    const number = numberOf(envelope.to[0] ?? '')
    if (!arrived.has(number)) arrived.set(number, steadyMs())
  }
  const receivers: Receiver[] = []
  for (let i = 0; i < count; i++) {
    const address = `127.0.${1 + Math.floor(i / 200)}.${1 + (i % 200)}`
    receivers.push(await startReceiver(script, { address, keep: 'nothing', onMessage }))
  }
  return {
    routes: receivers.map(({ address, port }, i) => ({
      domain: recipientDomain(i),
      host: address,
      port,
      tls: 'never',
    })),
    messages: () => receivers.reduce((sum, { counters }) => sum + counters.messages, 0),
    arrivedAtMs: () => arrived,
    forget: () => arrived.clear(),
    script: (next) => receivers.forEach((receiver) => receiver.script(next)),
    dropConnections: () => receivers.forEach((receiver) => receiver.dropConnections()),
    close: async () => void (await Promise.all(receivers.map((receiver) => receiver.close()))),
  }
}
