{{/* The token that an MLflow server wants to see, for each pod that asks it: a variable, as MLflow's own client takes it. */}}
{{- define "pipeline.mlflow.token" -}}
{{- with .Values.mlflow.tokenSecret }}{{ if .name }}
- name: MLFLOW_TRACKING_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .key | quote }}
{{- end }}{{ end }}
{{- end }}
