/** Grants that share a connection: one that is under way, and the one that follows it there. Pairs, never rows of three. */
export class GrantPairs {
  readonly #followers = new Map<number, number>()
  readonly #leaders = new Map<number, number>()

  /** How many connections are saved by it. */
  get count(): number {
    return this.#followers.size
  }

  has(grant: number): boolean {
    return this.#followers.has(grant) || this.#leaders.has(grant)
  }

  join(leader: number, follower: number): void {
    this.#followers.set(leader, follower)
    this.#leaders.set(follower, leader)
  }

  /** One of a pair is over: the other has the connection for itself. True when there was another. */
  part(grant: number): boolean {
    const follower = this.#followers.get(grant)
    const leader = this.#leaders.get(grant)
    if (follower !== undefined) {
      this.#followers.delete(grant)
      this.#leaders.delete(follower)
    }
    if (leader !== undefined) {
      this.#leaders.delete(grant)
      this.#followers.delete(leader)
    }
    return follower !== undefined || leader !== undefined
  }
}
