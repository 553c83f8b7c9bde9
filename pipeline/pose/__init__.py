"""Where keypoints come from: estimators, folders of JSON, archives."""
