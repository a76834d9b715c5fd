-- Who holds an object, whatever the project: asked of each that is to be collected.
create index project_object_digest on project_object (digest);
