/**
 * An SMTP server whose every word a test can choose. By itself it is polite and offers PIPELINING; a script answers instead where it
 * wants to. It keeps what it was told, so a test can look afterwards.
 */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'

/** Instead of the polite reply: text to send, raw bytes to send, null for silence, 'close' to hang up. undefined: be polite. */
export type Answer = string | Buffer | null | undefined

export interface Script {
  /** Sent on connection, without line end. */
  readonly greeting?: Answer
  /** Keywords offered in reply to EHLO; after STARTTLS those of `extensionsInTls`. */
  readonly extensions?: readonly string[]
  readonly extensionsInTls?: readonly string[]
  /**
   * Looks at every command line, and at "." for the end of content. Replies get their line end here, Buffers are sent as they are. Until a
   * promised answer is there, nothing that follows is looked at.
   */
  readonly answer?: (command: string, conversation: Conversation) => Answer | Promise<Answer>
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Reads nothing more after this command. */
  readonly stopReadingAfter?: string
}

export interface Conversation {
  /** 0 for the server's first connection. */
  readonly number: number
  readonly commands: string[]
  /** Contents as they came, dot-stuffed, with the terminator. */
  readonly contents: string[]
  /** Everything that came in, in the clear and through TLS. */
  received: string
  /** How often bytes arrived. */
  reads: number
  secured: boolean
  socket: Socket
}

export interface ScriptedServer {
  readonly port: number
  readonly conversations: Conversation[]
  close(): Promise<void>
}

export async function scriptedServer(script: Script = {}): Promise<ScriptedServer> {
  const conversations: Conversation[] = []
  // One for all connections: it holds the key of the session tickets.
  const secureContext = script.tls === undefined ? null : createSecureContext(script.tls)
  const server: Server = createServer({ noDelay: true }, (socket) => {
    const conversation: Conversation = {
      number: conversations.length,
      commands: [],
      contents: [],
      received: '',
      reads: 0,
      secured: false,
      socket,
    }
    conversations.push(conversation)
    new Session(script, conversation, secureContext).begin()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    conversations,
    close: () => {
      for (const { socket } of conversations) socket.destroy()
      return new Promise((resolve) => void server.close(() => resolve()))
    },
  }
}

class Session {
  readonly #script: Script
  readonly #conversation: Conversation
  readonly #secureContext: SecureContext | null
  #input = ''
  #inContent = false
  #thinking = false

  constructor(script: Script, conversation: Conversation, secureContext: SecureContext | null) {
    this.#script = script
    this.#secureContext = secureContext
    this.#conversation = conversation
  }

  begin(): void {
    this.#listen(this.#conversation.socket)
    const { greeting } = this.#script
    this.#say(greeting === undefined ? '220 scripted ESMTP' : greeting)
  }

  #listen(socket: Socket): void {
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      this.#conversation.reads++
      const text = bytes.toString('latin1')
      this.#conversation.received += text
      this.#input += text
      this.#read()
    })
  }

  #read(): void {
    while (!this.#thinking) {
      const end = this.#input.indexOf(this.#inContent ? '\r\n.\r\n' : '\r\n')
      const startsWithDot = this.#inContent && this.#input.startsWith('.\r\n')
      if (end === -1 && !startsWithDot) return
      const length = startsWithDot ? 3 : end + (this.#inContent ? 5 : 2)
      const taken = this.#input.slice(0, length)
      this.#input = this.#input.slice(length)
      if (this.#inContent) this.#contentEnds(taken)
      else this.#command(taken.slice(0, -2))
    }
  }

  #contentEnds(content: string): void {
    this.#inContent = false
    this.#conversation.contents.push(content)
    this.#answer('.', '250 2.0.0 taken')
  }

  #command(line: string): void {
    this.#conversation.commands.push(line)
    const verb = line.split(' ')[0]?.toUpperCase() ?? ''
    this.#answer(line, politeReply(verb, this.#extensions()))
    if (verb === this.#script.stopReadingAfter) this.#conversation.socket.pause()
    if (verb === 'QUIT') this.#conversation.socket.end()
  }

  #extensions(): readonly string[] {
    const { extensions = ['PIPELINING'], extensionsInTls = ['PIPELINING'] } = this.#script
    return this.#conversation.secured ? extensionsInTls : extensions
  }

  #answer(command: string, polite: string): void {
    const chosen = this.#script.answer?.(command, this.#conversation)
    if (!(chosen instanceof Promise)) return this.#give(command, chosen === undefined ? polite : chosen)
    this.#thinking = true
    void chosen.then((answer) => {
      this.#thinking = false
      this.#give(command, answer === undefined ? polite : answer)
      this.#read()
    })
  }

  #give(command: string, answer: Answer): void {
    this.#say(answer)
    if (command === 'DATA' && String(answer).startsWith('354')) this.#inContent = true
    if (command === 'STARTTLS' && String(answer).startsWith('220')) this.#startTls()
  }

  #say(answer: Answer): void {
    const { socket } = this.#conversation
    if (answer === 'close') socket.destroy()
    else if (typeof answer === 'string') socket.write(`${answer}\r\n`, 'latin1')
    else if (Buffer.isBuffer(answer)) socket.write(answer)
  }

  #startTls(): void {
    const conversation = this.#conversation
    const secureContext = this.#secureContext
    if (secureContext === null || conversation.secured) return
    conversation.socket.removeAllListeners('data')
    const secured = new TLSSocket(conversation.socket, { isServer: true, secureContext })
    conversation.socket.on('error', () => {})
    conversation.socket = secured
    conversation.secured = true
    this.#listen(secured)
  }
}

function politeReply(verb: string, extensions: readonly string[]): string {
  if (verb === 'EHLO') {
    const lines = ['scripted', ...extensions]
    return lines.map((line, i) => `250${i === lines.length - 1 ? ' ' : '-'}${line}`).join('\r\n')
  }
  if (verb === 'DATA') return '354 go ahead'
  if (verb === 'STARTTLS') return '220 begin'
  if (verb === 'QUIT') return '221 bye'
  return '250 ok'
}
