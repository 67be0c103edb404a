import type { Test } from 'tap'
import { administrationContract } from './contract/administration.ts'
import { appendingContract } from './contract/appending.ts'
import { bucketsContract } from './contract/buckets.ts'
import { cardsContract } from './contract/cards.ts'
import { claimsContract } from './contract/claims.ts'
import { deletionContract } from './contract/deletion.ts'
import { httpClaimsContract } from './contract/http-claims.ts'
import { listingContract } from './contract/listing.ts'
import { loginsContract } from './contract/logins.ts'
import { nodesContract } from './contract/nodes.ts'
import { privacyContract } from './contract/privacy.ts'
import { publishedKeysContract } from './contract/published-keys.ts'
import { quotasContract } from './contract/quotas.ts'
import { readingContract } from './contract/reading.ts'
import { registrationContract } from './contract/registration.ts'
import { repeatingContract } from './contract/repeating.ts'
import type { OpenWorld } from './contract/world.ts'

/** The tests that every engine must pass: the promises of `store.ts`. `openWorld` opens two nodes on a new backing. */
export function storeContract(t: Test, openWorld: OpenWorld): void {
  for (const contract of contracts) contract(t, openWorld)
}

const contracts = [
  registrationContract,
  deletionContract,
  listingContract,
  loginsContract,
  appendingContract,
  repeatingContract,
  quotasContract,
  claimsContract,
  httpClaimsContract,
  readingContract,
  publishedKeysContract,
  bucketsContract,
  cardsContract,
  nodesContract,
  privacyContract,
  administrationContract,
]
