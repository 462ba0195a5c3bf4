-- What a model was used for is asked with every list of models.
create index version_usage_model_id on version_usage (model_id);
