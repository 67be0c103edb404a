# One node. DOMAIN and REDIS_URL must be set; other settings are in .env.example.

FROM node:26.10.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/bundle.js scripts/prune-types.js ./scripts/
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:26.10.0-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
COPY package.json LICENSE ./
COPY bin ./bin
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
EXPOSE 8080
# Asks whether the node lives, not whether it is ready: a node whose Redis is away must not be restarted, and balancers
# ask for readiness themselves. Bash costs a hundredth of the CPU of a Node.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["bash", "-c", "h=${HOST:-127.0.0.1}; case $h in 0.0.0.0) h=127.0.0.1 ;; ::) h=::1 ;; esac; exec 3<>/dev/tcp/$h/${PORT:-8080} || exit 1; printf 'GET /health/live HTTP/1.0\\r\\n\\r\\n' >&3; read -r -t 2 _ status _ <&3; [ \"$status\" = 200 ]"]
# A larger young generation saves a tenth of the CPU for each message, for at most 48 MiB (npm run bench). With its full
# size and 128 MiB of old generation from the start, there is no full collection while thousands of clients connect at
# once, and a third of the pauses (npm run hostile -- --only storm).
CMD ["node", "--min-semi-space-size=32", "--max-semi-space-size=32", "--initial-old-space-size=128", "bin/aimessage.js", "serve"]
