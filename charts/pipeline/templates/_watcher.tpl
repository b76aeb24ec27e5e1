{{/*
The pod of a watcher, for its CronJob and, in development, its Deployment. Takes (dict "root" $ "app" "..."); the module's
name is the app's with underscores.
*/}}
{{- define "pipeline.watcher" -}}
metadata:
  labels:
    {{- include "pipeline.labels" (dict "root" .root "component" .app) | nindent 4 }}
  annotations:
    checksum/config: {{ include (print .root.Template.BasePath "/apps/configmap.yaml") .root | sha256sum }}
    {{- include "pipeline.scrape.annotations" . | nindent 4 }}
spec:
  {{- include "pipeline.pod" (dict "app" .app "token" true) | nindent 2 }}
  terminationGracePeriodSeconds: 5
  {{- if not .root.Values.development }}
  restartPolicy: Never
  {{- end }}
  containers:
    - name: {{ .app }}
      {{- include "pipeline.image" .root | nindent 6 }}
      args:
        {{- if .root.Values.development }}
        - /opt/baton/rerun
        {{- end }}
        - python3
        - -m
        - apps.{{ .app | replace "-" "_" }}
      envFrom:
        - configMapRef:
            name: apps
      env:
        {{- include "pipeline.mlflow.token" .root | nindent 8 }}
        {{- include "pipeline.scrape.variables" . | nindent 8 }}
        - name: BATON_TICK_S
          value: {{ .root.Values.delivery.tickSeconds | quote }}
        {{- if not .root.Values.development }}
        - name: BATON_TICK_FOR_S
          value: {{ .root.Values.watchers.seconds | quote }}
        {{- end }}
      securityContext:
        {{- include "pipeline.restricted" .root.Values.development | nindent 8 }}
      resources:
        {{- toYaml .root.Values.watchers.resources | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
  volumes:
    - name: tmp
      emptyDir: {}
{{- end }}
