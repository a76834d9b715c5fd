-- The primary key finds the same rows: it begins with the same columns, and is read in either direction.

drop index evidence_subject_of_project;
