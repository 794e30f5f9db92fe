/** AUTH PLAIN and LOGIN (RFC 4954, RFC 4616): what the client says goes in, the reply comes out. */

type Account = { readonly user: string; readonly password: string }

export class Login {
  /** Set while the client answers a challenge. */
  #mechanism: 'PLAIN' | 'LOGIN' | null = null
  #user: string | null = null
  /** Who the client has proved to be. */
  user: string | null = null

  get waiting(): boolean {
    return this.#mechanism !== null
  }

  begin(line: string, account: Account | null): string {
    if (account === null || this.user !== null) return '503 5.5.1 AUTH was not offered\r\n'
    const [, mechanism = '', initial] = line.split(' ')
    const name = mechanism.toUpperCase()
    if (name !== 'PLAIN' && name !== 'LOGIN') return '504 5.5.4 mechanism not known\r\n'
    this.#mechanism = name
    this.#user = null
    if (initial !== undefined) return this.answer(initial, account)
    return name === 'PLAIN' ? '334 \r\n' : '334 VXNlcm5hbWU6\r\n'
  }

  answer(base64: string, account: Account | null): string {
    const text = Buffer.from(base64, 'base64').toString('utf8')
    let given: readonly (string | undefined)[]
    if (this.#mechanism === 'PLAIN') given = text.split('\0').slice(1)
    else if (this.#user === null) {
      this.#user = text
      return '334 UGFzc3dvcmQ6\r\n'
    } else given = [this.#user, text]
    this.#mechanism = null
    const [user, password] = given
    if (user === undefined || user !== account?.user || password !== account.password) {
      return '535 5.7.8 wrong user or password\r\n'
    }
    this.user = user
    return '235 2.7.0 welcome\r\n'
  }
}
