-- Nothing ever wrote them: the run is in Temporal's history, the core module within the component.
ALTER TABLE generations DROP COLUMN workflow_run;
ALTER TABLE candidates DROP COLUMN core;
