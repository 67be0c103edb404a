import t from 'tap'
import { startRedis } from '../../../tools/servers/redis.ts'
import { storeContract } from './contract.ts'
import { redisWorlds } from './redis/redis-world.ts'

const redis = await startRedis(t, { config: { databases: '500' } })
storeContract(t, redisWorlds(redis.url))
