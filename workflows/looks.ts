/** Looks at a module that serves: at its traffic, and at what the fleet's would do there. */
import { now } from './clock.ts';
import { isFleet, RETIREMENT_MARGIN } from './level.ts';
import { type Challenged, DRIFT_LIMITS, type Observed } from './messages.ts';
import type { evolverActivities } from './proxies.ts';
import { incumbent, type OrganizationState } from './state.ts';

type Evolver = ReturnType<typeof evolverActivities>;

/** Null = there is nothing to look at. */
export async function lookAtTraffic(
  { long }: Evolver,
  state: OrganizationState,
): Promise<Observed | null> {
  const { org, configuration, settings } = state;
  const module = incumbent(state)?.module ?? null;
  if (configuration === null || (module === null && !isFleet(org))) return null;
  const at_ms = now();
  const options = { summary: 'look at the traffic' };
  const seen = await long.observe.executeWithOptions(options, [
    {
      ...{ org, configuration, module, at_ms },
      messages_min: settings.training_min,
      seconds: Math.ceil(settings.benchmark_seconds / 2),
      limits: {
        distance: settings.drift_distance ?? DRIFT_LIMITS.distance,
        advantage: settings.drift_advantage ?? DRIFT_LIMITS.advantage,
      },
    },
  ]);
  return { at_ms, ...seen };
}

/** Null = there is no module of its own. */
export async function holdAgainstFleet(
  { long }: Evolver,
  state: OrganizationState,
): Promise<Challenged | null> {
  const { org, configuration, settings } = state;
  const module = incumbent(state)?.module ?? null;
  if (configuration === null || module === null) return null;
  const at_ms = now();
  const options = { summary: 'against the fleet’s module' };
  const seen = await long.challenge.executeWithOptions(options, [
    {
      ...{ org, configuration, module, at_ms },
      messages_min: settings.training_min,
      seconds: Math.ceil(settings.benchmark_seconds / 2),
      ratio_min: settings.promotion_ratio - RETIREMENT_MARGIN,
    },
  ]);
  return { at_ms, ...seen };
}
