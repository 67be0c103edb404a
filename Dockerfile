# One node. DOMAIN and REDIS_URL must be set; other settings are in .env.example.

FROM node:26.10.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/bundle.js ./scripts/
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
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/health/ready`).then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# A larger young generation saves a tenth of the CPU for each message, for at most 48 MiB (npm run bench). With its full
# size and 128 MiB of old generation from the start, there is no full collection while thousands of clients connect at
# once, and a third of the pauses (npm run hostile -- --only storm).
CMD ["node", "--min-semi-space-size=32", "--max-semi-space-size=32", "--initial-old-space-size=128", "bin/aimessage.js", "serve"]
